// Many groups, many members, many rebalances at once: time until all is stable, the broker's CPU and memory. Works
// against any broker, so that two can be compared; nothing is judged here but that it comes to an end.
// Usage: scale-groups HOST:PORT BROKER_PID GROUPS MEMBERS REBALANCES
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ticksPerSecond of /proc/PID/stat.
const ticksPerSecond = 100

type broker struct {
	address string
	pid     int
	run     int64
}

// topic is read by all.
func (b *broker) topic() string { return b.name("scale") }

// name is one that no earlier run has used.
func (b *broker) name(kind string) string { return fmt.Sprintf("%s-%d", kind, b.run) }

func (b *broker) cpuSeconds() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return float64(user+system) / ticksPerSecond
}

func (b *broker) residentMiB() int {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", b.pid))
	if err != nil {
		return 0
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); fields[0] == "VmRSS:" {
			kib, _ := strconv.Atoi(fields[1])
			return kib / 1024
		}
	}
	return 0
}

// measure prints what an action costs.
func (b *broker) measure(what string, action func() error) error {
	began, cpu := time.Now(), b.cpuSeconds()
	if err := action(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	fmt.Printf("%-60s %7.2f s, %6.2f CPU-s of the broker, %5d MiB resident\n",
		what, time.Since(began).Seconds(), b.cpuSeconds()-cpu, b.residentMiB())
	return nil
}

// createTopic makes the topic that all read, and waits for the coordinators.
func (b *broker) createTopic(connection *connection, partitions int) error {
	request := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = b.topic(), int32(partitions), 1
	request.Topics, request.TimeoutMillis = append(request.Topics, topic), 60_000
	answer, err := connection.ask(request, 5)
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(answer.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode); err != nil {
		return err
	}
	return b.findCoordinator(connection)
}

// findCoordinator makes the broker create its topic of offsets.
func (b *broker) findCoordinator(connection *connection) error {
	for {
		request := kmsg.NewPtrFindCoordinatorRequest()
		request.CoordinatorKeys = []string{b.name("any")}
		answer, err := connection.ask(request, 4)
		if err != nil {
			return err
		}
		code := answer.(*kmsg.FindCoordinatorResponse).Coordinators[0].ErrorCode
		if !coordinatorIsAway(code) {
			return kerr.ErrorForCode(code)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func main() {
	var numbers []int
	for _, text := range os.Args[2:] {
		number, err := strconv.Atoi(text)
		if err != nil {
			fail(err)
		}
		numbers = append(numbers, number)
	}
	target := &broker{address: os.Args[1], pid: numbers[0], run: time.Now().UnixNano()}
	for at, part := range []func(*broker, int) error{manyMembers, rebalanceAll, manyGroups} {
		if err := part(target, []int{numbers[2], numbers[3], numbers[1]}[at]); err != nil {
			fail(err)
		}
	}
}

func fail(err error) {
	fmt.Println("FAILED", err)
	os.Exit(1)
}
