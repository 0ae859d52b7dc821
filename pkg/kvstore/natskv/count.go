package natskv

import (
	"context"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

// Count implements [kvstore.Counter]. It reads the headers of what matches, not the values: a deletion marker
// differs from a key in its headers only.
func (s *Store) Count(ctx context.Context, filter string) (int, error) {
	if err := kvstore.CheckFilter(filter); err != nil {
		return 0, s.wrap("count", filter, err)
	}
	keys := map[string]struct{}{} // one that changes during the scan comes again
	err := s.scan(ctx, scan{filter: filter, from: 1, headersOnly: true}, func(r record) bool {
		if r.absent() {
			delete(keys, r.key)
		} else {
			keys[r.key] = struct{}{}
		}
		return true
	})
	return len(keys), s.wrap("count", filter, err)
}
