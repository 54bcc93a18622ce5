// Package archtest holds the arrows between the project's packages: who may
// import whom, with and without the build tag mpi, and which types the public
// packages may show. It consists of tests.
package archtest
