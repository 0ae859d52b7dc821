package vendors

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/PagerDuty/go-pagerduty/webhookv3"
)

// A module of its own, so that the program's has no part in it: run
// "go test ." in this folder. See accept.mjs for the packages of npm.
func TestPagerDutysLibraryAcceptsTheVectorsThatNameIt(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Evidence, Method, URL, Body string
		Secrets                     []string
		Headers                     map[string]string
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, v := range vectors {
		if !strings.Contains(v.Evidence, "accepted by go-pagerduty 1.8.0") {
			continue
		}
		asked++
		for secret, want := range map[string]bool{v.Secrets[0]: true, "another": false} {
			r, err := http.NewRequest(v.Method, v.URL, strings.NewReader(v.Body))
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range v.Headers {
				r.Header.Set(name, value)
			}
			if err := webhookv3.VerifySignature(r, secret); (err == nil) != want {
				t.Errorf("%s: err = %v, want accepted %v", v.Evidence, err, want)
			}
		}
	}
	if asked == 0 {
		t.Error("no vector names go-pagerduty 1.8.0")
	}
}
