package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// apiClient calls the management API of a running ingress.
type apiClient struct {
	URL      string `name:"url" help:"Where Hawser serves HTTP." default:"http://127.0.0.1:8080"`
	BasePath string `help:"Path of the API." default:"/api/v1"`
	Data     string `help:"Data folder of 'hawser up': the API token is read from there, unless HAWSER_TOKEN is set." default:"./hawser-data" type:"path"`
}

// maxAnswer bounds an answer of the API, in bytes.
const maxAnswer = 64 << 20

// do sends body as JSON, nil for none, and decodes the answer into into, nil to ignore it.
// An answer that is not 2xx is an error with the code and all field errors.
func (c *apiClient) do(ctx context.Context, method, path string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	response, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", c.URL, err)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return refused(response.StatusCode, answer)
	}
	if into == nil || len(answer) == 0 {
		return nil
	}
	return json.Unmarshal(answer, into)
}

// send sends body as JSON, nil for none. The caller closes the answer's body, and ctx has a
// deadline.
func (c *apiClient) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	token, err := c.token()
	if err != nil {
		return nil, err
	}
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.URL, "/")+c.BasePath+path, content)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, fmt.Errorf("no answer at %s: is Hawser running?", c.URL)
	}
	return response, nil
}

func (c *apiClient) token() (string, error) {
	if token := os.Getenv("HAWSER_TOKEN"); token != "" {
		return token, nil
	}
	data, err := os.ReadFile(dataFolder(c.Data).path("admin.token"))
	if err != nil {
		return "", fmt.Errorf("no API token in %s: set --data or HAWSER_TOKEN", c.Data)
	}
	return strings.TrimSpace(string(data)), nil
}

// refused returns the error of the API, with all field errors.
func refused(status int, answer []byte) error {
	var problem struct {
		Code, Detail string
		Errors       []struct{ Path, Message string }
	}
	_ = json.Unmarshal(answer, &problem)
	text := fmt.Sprintf("refused: %d %s %s", status, problem.Code, problem.Detail)
	for _, e := range problem.Errors {
		if e.Path != "" && !strings.Contains(e.Message, e.Path) {
			e.Message = e.Path + ": " + e.Message
		}
		text += "\n  " + e.Message
	}
	return errors.New(text)
}
