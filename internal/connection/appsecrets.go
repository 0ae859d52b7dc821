package connection

import "strings"

// SplitSecrets splits the client secrets of an app as people write them, newest first:
// separated by blanks, or, where they are keys and certificates in PEM, by an empty
// line. In an environment variable the line breaks of PEM may be written as \n.
func SplitSecrets(text string) []string {
	if !strings.Contains(text, "-----BEGIN ") {
		return strings.Fields(text)
	}
	text = strings.NewReplacer(`\n`, "\n", "\r", "").Replace(text)
	var all []string
	for part := range strings.SplitSeq(text, "\n\n") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}
