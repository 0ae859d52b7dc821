package crypto_test

import (
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/pkg/crypto"
)

var update = flag.Bool("update", false, "write the vectors that are missing in testdata; those that exist are never written again")

// vector is a file of testdata/vectors, sealed with a key of testdata/keyset.json.
// Every later version has to open it. With pointers it is a document, without them
// the value of one pointer.
type vector struct {
	KeyID    uint32   `json:"key_id"`
	Bucket   string   `json:"bucket"`
	Key      string   `json:"key"`
	Pointer  string   `json:"pointer"`
	Pointers []string `json:"pointers,omitempty"`
	Plain    string   `json:"plain"`
	Sealed   string   `json:"sealed"`
}

// The keys of testdata/keyset.json. They are used for tests only.
const (
	goldenOldKey = 1004812211
	goldenKey    = 2718281828
)

// vectors is what -update seals: file name → vector without its envelope.
var vectors = map[string]vector{
	"string":         {KeyID: goldenKey, Bucket: here.Bucket, Key: here.Key, Pointer: "/config/apiKey", Plain: `"sk_live_ünïcode"`},
	"old-key":        {KeyID: goldenOldKey, Bucket: here.Bucket, Key: here.Key, Pointer: "/config/apiKey", Plain: `"sk_live_ünïcode"`},
	"empty":          {KeyID: goldenKey, Bucket: here.Bucket, Key: here.Key, Pointer: "/a", Plain: ""},
	"no-json":        {KeyID: goldenKey, Bucket: "hawser-flows", Key: "f1", Pointer: "/verifier", Plain: "a\x00b\nc"},
	"escaped":        {KeyID: goldenKey, Bucket: "hawser-grants", Key: "g=1/2", Pointer: "/a~1b/0/c~0d/ü", Plain: `{"a": [1.0, null]}`},
	"root":           {KeyID: goldenKey, Bucket: "b", Key: "k", Pointer: "", Plain: `"x"`},
	"document":       {KeyID: goldenKey, Bucket: here.Bucket, Key: here.Key, Pointers: []string{"/config/apiKey", "/webhook/*/secret", "/none"}, Plain: `{"config": {"apiKey":"sk_live_1","channel":"general"}, "n":1.0e+2,"webhook":[{"secret":"12:34:56"},{"secret":null},{"secret":"enc:v1:AAAA"}]}`},
	"document-old":   {KeyID: goldenOldKey, Bucket: "hawser-grants", Key: "g_1", Pointers: []string{"/tokens/access", "/tokens/refresh"}, Plain: `{"tokens":{"access":"a0","refresh":"","type":"bearer"},"generation":7}`},
	"document-whole": {KeyID: goldenKey, Bucket: "b", Key: "k", Pointers: []string{""}, Plain: `{"all":"secret"}`},
}

// goldenCheckValue was made with the old key by CheckValue.
const goldenCheckValue = "testdata/check-value.txt"

func TestEveryVersionOpensTheGoldenVectors(t *testing.T) {
	t.Parallel()
	k := goldenKeyring(t)
	if *update {
		writeMissing(t, k)
	}
	if got, want := k.KeyIDs(), []uint32{goldenOldKey, goldenKey}; !slices.Equal(got, want) || k.PrimaryID() != goldenKey {
		t.Fatalf("testdata/keyset.json: %v, want primary %d of %v", k, goldenKey, want)
	}
	files, err := filepath.Glob("testdata/vectors/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for name := range vectors {
		if !slices.Contains(files, vectorFile(name)) {
			t.Errorf("%s is missing: go test ./pkg/crypto -run GoldenVectors -update", vectorFile(name))
		}
	}
	for _, file := range files {
		v := readVector(t, file)
		got, err := v.open(k)
		if err != nil || string(got) != v.Plain {
			t.Errorf("%s opens as %q, %v, want %q", file, got, err, v.Plain)
		}
	}
	value, err := os.ReadFile(goldenCheckValue)
	if err != nil {
		t.Fatal(err)
	}
	if err := crypto.VerifyCheckValue(k, strings.TrimSpace(string(value))); err != nil {
		t.Errorf("%s: %v", goldenCheckValue, err)
	}
}

func vectorFile(name string) string { return filepath.Join("testdata", "vectors", name+".json") }

func readVector(t fataler, file string) vector {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v vector
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return v
}

func (v vector) binding() crypto.Binding { return crypto.Binding{Bucket: v.Bucket, Key: v.Key} }

func (v vector) open(k *crypto.Keyring) ([]byte, error) {
	if v.Pointers == nil {
		return k.Open(v.Sealed, v.binding(), v.Pointer)
	}
	return k.OpenFields([]byte(v.Sealed), v.Pointers, v.binding())
}

func (v vector) seal(k *crypto.Keyring) (string, error) {
	if v.Pointers == nil {
		return k.Seal([]byte(v.Plain), v.binding(), v.Pointer)
	}
	sealed, err := k.SealFields([]byte(v.Plain), v.Pointers, v.binding())
	return string(sealed), err
}

func writeMissing(t *testing.T, k *crypto.Keyring) {
	t.Helper()
	for name, v := range vectors {
		sealed, err := v.seal(mustParse(t, must(t)(k.Promote(v.KeyID))))
		if err != nil {
			t.Fatal(err)
		}
		v.Sealed = sealed
		text, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		writeNew(t, vectorFile(name), text)
	}
	value, err := crypto.CheckValue(mustParse(t, must(t)(k.Promote(goldenOldKey))))
	if err != nil {
		t.Fatal(err)
	}
	writeNew(t, goldenCheckValue, []byte(value))
}

// writeNew writes the file unless it exists.
func writeNew(t *testing.T, path string, text []byte) {
	t.Helper()
	if _, err := os.Stat(path); err == nil {
		return
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(text, '\n'), fs.FileMode(0o644)); err != nil {
		t.Fatal(err)
	}
}
