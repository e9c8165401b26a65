package redistest

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/freeport"
)

// StartReplica runs a replica of a server, and returns when it has caught up.
func StartReplica(t testing.TB, of *Server, args ...string) *Server {
	t.Helper()
	host, port, _ := net.SplitHostPort(of.Addr)
	s := Start(t, append([]string{"--replicaof", host + " " + port}, args...)...)
	Await(t, "the replica has caught up", func() bool {
		return strings.Contains(s.Do("INFO", "replication"), "master_link_status:up")
	})
	return s
}

// Sentinels are three Sentinels that monitor one master.
type Sentinels struct {
	Name  string
	Nodes []*Server
}

// StartSentinels runs three Sentinels, and returns when they know each other and
// the replicas of the master. They consider a master down after half a second.
func StartSentinels(t testing.TB, master *Server, replicas int) *Sentinels {
	t.Helper()
	s := &Sentinels{Name: "sessions"}
	host, port, _ := net.SplitHostPort(master.Addr)
	for range 3 {
		s.Nodes = append(s.Nodes, startSentinel(t, s.Name, host, port))
	}
	Await(t, "the sentinels know each other and the replicas", func() bool {
		for _, node := range s.Nodes {
			info := node.Do("SENTINEL", "MASTER", s.Name)
			if !strings.Contains(info, "num-other-sentinels\n2\n") || !strings.Contains(info, fmt.Sprintf("num-slaves\n%d\n", replicas)) {
				return false
			}
		}
		return true
	})
	return s
}

func startSentinel(t testing.TB, name, host, port string) *Server {
	t.Helper()
	s := &Server{Dir: t.TempDir(), t: t}
	for range 10 {
		own := freeport.Claim(t)
		s.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(own))
		config := write(t, s.Dir, "sentinel.conf", fmt.Sprintf(`port %d
bind 127.0.0.1
dir %s
sentinel monitor %[3]s %s %s 2
sentinel down-after-milliseconds %[3]s 500
sentinel failover-timeout %[3]s 3000
`, own, s.Dir, name, host, port))
		s.args = []string{config, "--sentinel"}
		if s.run() == nil {
			t.Cleanup(s.Kill)
			s.hurry()
			return s
		}
	}
	t.Fatal("no sentinel starts")
	return nil
}

// hurry makes a Sentinel poll and publish more often than every ten seconds. It must
// hear of a new master within four times the interval at which the others publish it:
// otherwise it turns the new master into a replica again.
func (s *Server) hurry() {
	s.t.Helper()
	s.Do("SENTINEL", "DEBUG", "info-period", "200", "publish-period", "1000", "ping-period", "100", "ask-period", "100",
		"min-link-reconnect-period", "500", "slave-reconf-timeout", "500")
}

// URLs returns the URLs of the Sentinels.
func (s *Sentinels) URLs() (urls []string) {
	for _, node := range s.Nodes {
		urls = append(urls, node.URL())
	}
	return urls
}

// Trust keeps the Sentinels from considering a busy server down, for tests that decide
// themselves when the master changes.
func (s *Sentinels) Trust() {
	for _, node := range s.Nodes {
		node.Do("SENTINEL", "SET", s.Name, "down-after-milliseconds", "60000")
	}
}

// Master returns the master's address according to the first Sentinel.
func (s *Sentinels) Master() string {
	parts := strings.Split(s.Nodes[0].Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", s.Name), "\n")
	return net.JoinHostPort(parts[0], parts[1])
}

// slots is the number of slots in a Cluster.
const slots = 16384

// StartCluster runs a Cluster of three masters, each with these arguments.
func StartCluster(t testing.TB, args ...string) []*Server {
	t.Helper()
	var nodes []*Server
	for i := range 3 {
		bus := []string{"--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", strconv.Itoa(freeport.Claim(t))}
		node := Start(t, append(args[:len(args):len(args)], bus...)...)
		first, last := i*slots/3, (i+1)*slots/3-1
		node.Do("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(first), strconv.Itoa(last))
		node.Do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		nodes = append(nodes, node)
	}
	for _, node := range nodes[1:] {
		host, port, _ := net.SplitHostPort(nodes[0].Addr)
		bus := nodes[0].args[len(nodes[0].args)-1]
		node.Do("CLUSTER", "MEET", host, port, bus)
	}
	Await(t, "the cluster is whole", func() bool {
		for _, node := range nodes {
			info := node.Do("CLUSTER", "INFO")
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:3") {
				return false
			}
		}
		return true
	})
	return nodes
}
