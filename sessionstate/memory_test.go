package sessionstate_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/rudder-session/rudder-session/sessionstate/memorystore"
	"github.com/rudder-session/rudder-session/sessionstate/session"
)

// maxBytes is how much memory a session of the usual kind may take beyond its
// key: begun by startSession, with its mark given and its user known.
const maxBytes = 200

func TestMemory(t *testing.T) {
	// Fills each shard as much as sixteen times as many sessions fill theirs.
	const n = 62_500
	table := newTable(t, memorystore.New(), n*5/4, 0)
	table.AllocateFixed()
	before := heap()
	keyBytes := 0
	for i := range n {
		// 80 bytes, like a write key and an anonymousId together: a size class of the
		// allocator, so that nothing is lost to rounding.
		key := fmt.Sprintf("2Abcdefghijklmnopqrstuvwxyz-padding\x00%08x-1111-4222-8333-444455556666", i)
		ask(t, table, key, startAt(base, session.MessageID(1+i)<<20))
		track := trackAt(base+10, session.MessageID(1+i)<<30)
		track.User = session.UserID(1+i) << 25
		ask(t, table, key, track)
		keyBytes += len(key)
	}
	each := float64(heap()-before-keyBytes) / float64(n)
	t.Logf("%d sessions: %.0f bytes each beyond the key", n, each)
	if each > maxBytes {
		t.Errorf("more than %d", maxBytes)
	}
	runtime.KeepAlive(table)
}

func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
