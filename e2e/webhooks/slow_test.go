package webhooks_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/testenv"
)

// slowClients is how many send a byte now and then; they are more than slowAtOnce,
// since the server ends them and they come again.
const slowClients, slowAtOnce = 12_000, 10_000

// Ten thousand clients that never finish their requests hold up nobody: deliveries
// are acknowledged meanwhile, in the time that impatient providers give. The
// ingress is the program itself, since the race detector ends at 8,128 goroutines.
func TestTenThousandSlowClientsStopNobody(t *testing.T) {
	t.Parallel()
	var files syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
	if files.Max < slowClients+1000 {
		t.Fatalf("at most %d files can be open here; %d are needed: ulimit -Hn", files.Max, slowClients+1000)
	}
	probe := appProbe()
	probe.Webhook.AccountField, probe.Validate = "", nil // nothing is for an account here
	s := newSite(t, siteOptions{noExecutor: true, ingress: apps()}, probe)
	c := s.connect("org_1", secretConfig)
	binary := filepath.Join(t.TempDir(), "ingress")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/ingress").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	front := s.startBinary(binary, "HAWSER_APP_PROBE_WEBHOOK_SECRET="+appSecret)
	path := c.WebhookURL[len(baseURL):]
	slow := &crowd{t: t, address: strings.TrimPrefix(front.url, "http://"), conns: make([]net.Conn, slowClients)}
	for n := range slow.conns {
		switch n % 10 {
		case 0: // never ends its headers, and is ended soon
			slow.begins = append(slow.begins, "POST "+path+" HTTP/1.1\r\nHost: h\r\nX-Slow: ")
		case 1, 2, 3, 4: // nor this its body
			slow.begins = append(slow.begins, "POST "+path+" HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n{")
		default: // which any stranger can begin
			slow.begins = append(slow.begins, "POST "+strings.Replace(appURL, "/", "/api/v1/", 1)+" HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n")
		}
	}
	slow.drip(t)
	held := 0
	testenv.EventuallyWithin(s.t, 60*time.Second, "nearly all clients are there", func() bool {
		held = openFiles(t, front)
		return held >= slowAtOnce
	})
	var slowest time.Duration
	const deliveries = 100
	for n := range deliveries {
		body := fmt.Sprintf(`{"n":%d}`, n)
		began := time.Now()
		for {
			status, answer := deliver(t, front.url+path, body, fmt.Sprintf("evt_%d", n))
			if status == http.StatusAccepted || status == http.StatusOK {
				break
			}
			// A machine that is busy with the crowd may say: try again.
			if status != http.StatusServiceUnavailable || time.Since(began) > 5*time.Second {
				t.Fatalf("delivery %d got %d %s", n, status, answer)
			}
		}
		slowest = max(slowest, time.Since(began))
	}
	if slowest > 5*time.Second {
		t.Errorf("the slowest of %d deliveries took %v beside %d slow clients", deliveries, slowest, held)
	}
	if still := openFiles(t, front); still < slowAtOnce/2 {
		t.Errorf("only %d clients were there to the end", still)
	}
	t.Logf("%d connections held, the slowest of %d deliveries took %v", held, deliveries, slowest)
}

func deliver(t *testing.T, url, body, id string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", url, strings.NewReader(body))
	must(t, err)
	req.Header = signed(signingSecret, body, id, time.Now())
	resp, err := client.Do(req)
	must(t, err)
	answer, err := io.ReadAll(resp.Body)
	must(t, err)
	_ = resp.Body.Close()
	return resp.StatusCode, string(answer)
}

// crowd keeps connections open, and opens those anew that the server has ended.
type crowd struct {
	t       *testing.T
	address string
	begins  []string
	conns   []net.Conn
}

// drip sends a byte on every connection about once a second, until the test ends.
func (c *crowd) drip(t *testing.T) {
	const hands = 16
	var all sync.WaitGroup
	stop := make(chan struct{})
	for hand := range hands {
		all.Go(func() {
			for {
				for n := hand; n < len(c.conns); n += hands {
					select {
					case <-stop:
						return
					default:
						c.touch(n)
					}
				}
				select {
				case <-stop:
					return
				case <-time.After(time.Second):
				}
			}
		})
	}
	t.Cleanup(func() {
		close(stop)
		all.Wait()
		for _, conn := range c.conns {
			if conn != nil {
				_ = conn.Close()
			}
		}
	})
}

func (c *crowd) touch(n int) {
	if conn := c.conns[n]; conn != nil {
		if _, err := io.WriteString(conn, "1"); err == nil {
			return
		}
		_ = conn.Close()
		c.conns[n] = nil
	}
	conn, err := net.DialTimeout("tcp", c.address, 10*time.Second)
	if err != nil {
		return // the next round tries again
	}
	if _, err := io.WriteString(conn, c.begins[n]); err != nil {
		_ = conn.Close()
		return
	}
	c.conns[n] = conn
}

func openFiles(t *testing.T, p *program) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	must(t, err)
	return len(entries)
}
