package redistest

import (
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/rudder-session/rudder-session/internal/freeport"
)

// StartReplicas starts a replica for each master of a Cluster, and returns when they
// have caught up. A replica takes over from a master that does not answer for the
// timeout of StartCluster.
func StartReplicas(t testing.TB, masters []*Server, args ...string) (replicas []*Server) {
	t.Helper()
	bus := masters[0].args[len(masters[0].args)-1]
	host, port, _ := net.SplitHostPort(masters[0].Addr)
	for range masters {
		own := []string{"--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", strconv.Itoa(freeport.Claim(t))}
		replica := Start(t, append(args[:len(args):len(args)], own...)...)
		replica.Do("CLUSTER", "MEET", host, port, bus)
		replicas = append(replicas, replica)
	}
	for i, replica := range replicas {
		id := masters[i].Do("CLUSTER", "MYID")
		Await(t, "the replica knows its master", func() bool {
			_, err := replica.Try("CLUSTER", "REPLICATE", id)
			return err == nil
		})
	}
	for _, node := range append(append([]*Server{}, masters...), replicas...) {
		Await(t, "the cluster is whole, with replicas", func() bool {
			return strings.Contains(node.Do("CLUSTER", "INFO"), "cluster_known_nodes:"+strconv.Itoa(2*len(masters))) &&
				strings.Count(node.Do("CLUSTER", "NODES"), " slave ")+strings.Count(node.Do("CLUSTER", "NODES"), ",slave ") == len(masters)
		})
	}
	for _, replica := range replicas {
		Await(t, "the replica has caught up", func() bool {
			return strings.Contains(replica.Do("INFO", "replication"), "master_link_status:up")
		})
	}
	return replicas
}
