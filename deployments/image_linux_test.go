package deployments_test

import (
	"debug/elf"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/hawser-io/hawser/internal/testenv"
)

// imageUser is the user of the image.
const imageUser = 65532

// TestTheProgramsRunInAnEmptyRoot runs the programs as the image has them: built by the
// Dockerfile's own command, in a root that holds nothing else and that they cannot write to,
// as a user who is not root.
func TestTheProgramsRunInAnEmptyRoot(t *testing.T) {
	t.Parallel()
	i := readDockerfile(t)
	root := i.build(t)
	free := net.JoinHostPort(testenv.Loopback(t), "0")
	address := regexp.MustCompile(`^0\.0\.0\.0:\d+$`)
	up := append([]string{}, i.command...)
	for n, arg := range up {
		if address.MatchString(arg) {
			up[n] = free
		}
		if arg == "off" { // of --nats: the roles join it here
			up[n] = free
		}
	}
	hawser := start(t, i.program(root, up...))
	url := regexp.MustCompile(`nats://[^\s,]+`).FindString(hawser.text())
	for _, role := range []string{"ingress", "executor", "refresher"} {
		start(t, i.program(root, role, "--http", free, "--nats-url", url, "--nats-creds", "/data/nats.creds", "--keyset", "/data/keyset.json"))
	}
}

// image is what the Dockerfile says about the last stage.
type image struct {
	goBuild string // the command that builds the programs
	command []string
}

func readDockerfile(t *testing.T) image {
	t.Helper()
	text, err := os.ReadFile("docker/Dockerfile")
	testenv.Must(t, err)
	find := func(form string) string {
		match := regexp.MustCompile(form).FindSubmatch(text)
		if match == nil {
			t.Fatalf("the Dockerfile has nothing like %s", form)
		}
		return string(match[1])
	}
	i := image{goBuild: find(`(go build .*?) -o /image`)}
	testenv.Must(t, json.Unmarshal([]byte(find(`(?m)^CMD (\[.*\])$`)), &i.command))
	if user := find(`(?m)^USER (\S+)$`); user != "65532:65532" {
		t.Errorf("USER is %s", user)
	}
	if base := find(`(?m)^FROM (\S+)\n[^F]*\z`); base != "scratch" {
		t.Errorf("the last stage begins with %s", base)
	}
	return i
}

// build makes the root of the image.
func (i image) build(t *testing.T) (root string) {
	t.Helper()
	root, err := os.MkdirTemp("", "hawser-root-") // t.TempDir is below a folder that only its owner may pass
	testenv.Must(t, err)
	data := filepath.Join(root, "data")
	bin := filepath.Join(root, "usr", "local", "bin")
	testenv.Must(t, os.MkdirAll(bin, 0o755))
	testenv.Must(t, os.Mkdir(data, 0o700))
	args := append(strings.Fields(strings.ReplaceAll(i.goBuild, "'", "")), "-o", bin+"/", "../cmd/...")
	args = joinFlags(args)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	if os.Geteuid() == 0 {
		testenv.Must(t, os.Chown(data, imageUser, imageUser))
	}
	testenv.Must(t, os.Chmod(root, 0o555))
	t.Cleanup(func() {
		_ = os.Chmod(root, 0o755)
		_ = os.RemoveAll(root)
	})
	for _, name := range []string{"hawser", "ingress", "executor", "refresher"} {
		static(t, filepath.Join(bin, name))
	}
	return root
}

// joinFlags puts the value of -ldflags, which was quoted, together again.
func joinFlags(args []string) []string {
	for n, arg := range args {
		if arg == "-ldflags" {
			return append(append([]string{}, args[:n]...), append([]string{"-ldflags=" + args[n+1] + " " + args[n+2]}, args[n+3:]...)...)
		}
	}
	return args
}

func static(t *testing.T, path string) {
	t.Helper()
	file, err := elf.Open(path)
	testenv.Must(t, err)
	defer func() { _ = file.Close() }()
	if file.Section(".interp") != nil {
		t.Errorf("%s is not static", path)
	}
}

// program is a program in the root. Only root may change its root; others do it in a user
// namespace of their own.
func (i image) program(root string, command ...string) *exec.Cmd {
	cmd := &exec.Cmd{Path: "/usr/local/bin/" + command[0], Args: command, Dir: "/data", Env: []string{"PATH=/usr/local/bin"}}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: imageUser, Gid: imageUser}}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Credential = nil
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: imageUser, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: imageUser, HostID: os.Getgid(), Size: 1}}
	}
	return cmd
}
