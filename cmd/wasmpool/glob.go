package main

import (
	"os"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// glob returns the files, not folders, whose names match a pattern, sorted. As in a shell, **
// stands for any number of folders, and wildcards leave out what begins with a dot. Below ** no
// symbolic link to a folder is followed: it may lead back.
func glob(pattern string) ([]string, error) {
	options := []doublestar.GlobOption{doublestar.WithNoHidden(), doublestar.WithFailOnIOErrors()}
	if strings.Contains(pattern, "**") {
		options = append(options, doublestar.WithNoFollow())
	}
	names, err := doublestar.FilepathGlob(pattern, options...)
	names = slices.DeleteFunc(names, isFolder)
	slices.Sort(names)
	return names, err
}

func isFolder(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}
