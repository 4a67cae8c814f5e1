// A member of a group for groups_members.py, with franz-go (eager, cooperative, KIP-848) or sarama.
// Usage: groups-go CLIENT HOST:PORT TOPIC GROUP
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	session   = 6 * time.Second
	heartbeat = 500 * time.Millisecond
)

var out sync.Mutex

func clientID() string { return fmt.Sprintf("member-%d", os.Getpid()) }

// say prints what happened, as a line of JSON.
func say(event string, value any) {
	line, err := json.Marshal(map[string]any{event: value})
	if err != nil {
		panic(err)
	}
	out.Lock()
	defer out.Unlock()
	fmt.Println(string(line))
}

func sayPartitions(event string, partitions []int32) { say(event, append([]int32{}, partitions...)) }

func sayCommitted(next map[int32]int64) {
	var committed [][2]int64
	for partition, offset := range next {
		committed = append(committed, [2]int64{int64(partition), offset})
	}
	say("committed", committed)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	client, bootstrap, topic, group := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	var err error
	switch client {
	case "franz-go-eager":
		err = franz(ctx, []kgo.GroupOpt{kgo.Balancers(kgo.RangeBalancer())}, bootstrap, topic, group)
	case "franz-go-cooperative":
		err = franz(ctx, []kgo.GroupOpt{kgo.Balancers(kgo.CooperativeStickyBalancer())}, bootstrap, topic, group)
	case "franz-go-consumer":
		err = franz(ctx, []kgo.GroupOpt{kgo.Balancers(kgo.RangeBalancer()), kgo.ServerSideBalancer()}, bootstrap, topic, group)
	case "sarama":
		err = readWithSarama(ctx, bootstrap, topic, group)
	default:
		err = fmt.Errorf("no client %s", client)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
