package embedded

import (
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Stats are the server's counters and limits at one moment. Messages and
// StoreBytes count what streams and buckets hold now.
type Stats struct {
	Connections   int
	Subscriptions uint32
	SlowConsumers int64
	InMsgs        int64
	OutMsgs       int64
	InBytes       int64
	OutBytes      int64

	Streams    int
	Consumers  int
	Messages   uint64
	StoreBytes uint64
	StoreLimit int64 // bytes; what does not fit is refused
	Memory     int64 // bytes of the process, as the server sees it

	SyncAlways   bool          // every write is on the disk before it is acknowledged
	SyncInterval time.Duration // otherwise: the time that a power loss can lose
}

// Stats reads the server's counters. It is cheap enough for every scrape.
func (s *Server) Stats() (Stats, error) {
	ns := s.current()
	v, err := ns.Varz(nil)
	if err != nil {
		return Stats{}, fmt.Errorf("read the embedded NATS server's counters: %w", err)
	}
	js, err := ns.Jsz(&server.JSzOptions{})
	if err != nil {
		return Stats{}, fmt.Errorf("read the embedded NATS server's JetStream counters: %w", err)
	}
	return Stats{
		Connections: v.Connections, Subscriptions: v.Subscriptions, SlowConsumers: v.SlowConsumers,
		InMsgs: v.InMsgs, OutMsgs: v.OutMsgs, InBytes: v.InBytes, OutBytes: v.OutBytes,
		Streams: js.Streams, Consumers: js.Consumers, Messages: js.Messages,
		StoreBytes: js.Store, StoreLimit: js.Config.MaxStore, Memory: v.Mem,
		SyncAlways: js.Config.SyncAlways, SyncInterval: js.Config.SyncInterval,
	}, nil
}
