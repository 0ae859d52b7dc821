//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package embedded

import "errors"

type fileLock struct{}

// lockFolder refuses: without a lock two servers could destroy one store.
func lockFolder(string) (*fileLock, error) {
	return nil, errors.New("the embedded NATS server needs a file lock that this system does not have: run a NATS server of your own and give the role programs --nats-url")
}

func (*fileLock) release() error { return nil }
