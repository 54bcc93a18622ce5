// Package words counts words. It is an ordinary package: the task of the
// wordcount example imports it and is compiled to wasm, the program imports it
// for the type of the result.
//
// A word is a run of letters and digits, in lower case. What is not UTF-8
// stands between words.
package words
