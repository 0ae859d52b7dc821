package records

import "strings"

// SplitSecrets splits the client secrets of an app as people write them, newest first:
// separated by blanks, or, where they are keys and certificates in PEM, by an empty
// line. A certificate that an empty line parts from its key stays with it: with the one
// that follows if the first secret begins so, else with the one before. In an environment
// variable the line breaks of PEM may be written as \n.
func SplitSecrets(text string) []string {
	if !inPEM(text) {
		return strings.Fields(text)
	}
	text = strings.NewReplacer(`\n`, "\n", "\r", "").Replace(text)
	var all []string
	last, ahead := "", false // ahead: certificates come before their key
	for part := range strings.SplitSeq(text, "\n\n") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		if last == "" {
			ahead = onlyCertificates(part)
		}
		if ahead && onlyCertificates(last) && inPEM(part) || !ahead && onlyCertificates(part) && inPEM(last) {
			all[len(all)-1] += "\n" + part
		} else {
			all = append(all, part)
		}
		last = part
	}
	return all
}

func inPEM(text string) bool { return strings.Contains(text, "-----BEGIN ") }

// onlyCertificates reports whether a text in PEM lacks the key without which nobody can
// use what it holds.
func onlyCertificates(text string) bool {
	return strings.Contains(text, "-----BEGIN CERTIFICATE-----") && !strings.Contains(text, "PRIVATE KEY-----")
}
