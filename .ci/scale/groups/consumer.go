package main

import (
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// consumer is a member of a group of KIP-848.
type consumer struct {
	connection *shared
	group, id  string
	topic      string
	epoch      int32
	topicID    [16]byte
	owned      []int32
	owesOwned  bool
	held       atomic.Int32
}

// shared is a connection of many members; none of their requests waits.
type shared struct {
	lock sync.Mutex
	*connection
}

func (s *shared) ask(request kmsg.Request, version int16) (kmsg.Response, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.connection.ask(request, version)
}

// beat sends a heartbeat and returns how long to wait until the next one.
func (c *consumer) beat() (time.Duration, error) {
	request := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	request.Group, request.MemberID, request.MemberEpoch = c.group, c.id, c.epoch
	request.RebalanceTimeoutMillis = -1
	if c.epoch == 0 {
		request.RebalanceTimeoutMillis = 60_000
		request.SubscribedTopicNames = []string{c.topic}
	}
	if c.epoch == 0 || c.owesOwned {
		request.Topics = []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		if len(c.owned) > 0 {
			topic := kmsg.NewConsumerGroupHeartbeatRequestTopic()
			topic.TopicID, topic.Partitions = c.topicID, c.owned
			request.Topics = append(request.Topics, topic)
		}
	}
	answer, err := c.connection.ask(request, 0)
	if err != nil {
		return 0, err
	}
	response := answer.(*kmsg.ConsumerGroupHeartbeatResponse)
	if coordinatorIsAway(response.ErrorCode) {
		return 100 * time.Millisecond, nil
	}
	switch err := kerr.ErrorForCode(response.ErrorCode); err {
	case nil:
	case kerr.FencedMemberEpoch, kerr.UnknownMemberID:
		c.epoch, c.owned = 0, nil
		c.held.Store(0)
		return 0, nil
	default:
		return 0, err
	}
	c.epoch, c.owesOwned = response.MemberEpoch, false
	if response.Assignment != nil {
		c.owned = nil
		for _, topic := range response.Assignment.Topics {
			c.topicID, c.owned = topic.TopicID, append(c.owned, topic.Partitions...)
		}
		c.owesOwned = true
		c.held.Store(int32(len(c.owned)))
		return 0, nil
	}
	return time.Duration(response.HeartbeatIntervalMillis) * time.Millisecond, nil
}

// manyMembers: so many members of one group share as many partitions, then one leaves.
func manyMembers(broker *broker, count int) error {
	connections := make([]*shared, 64)
	for at := range connections {
		connection, err := connect(broker.address)
		if err != nil {
			return err
		}
		connections[at] = &shared{connection: connection}
	}
	if err := broker.createTopic(connections[0].connection, count); err != nil {
		return err
	}
	group := broker.name("members")
	failed := make(chan error, count)
	members := make([]*consumer, count)
	gone := make(chan struct{})
	for at := range members {
		id := make([]byte, 16)
		if _, err := rand.Read(id); err != nil {
			return err
		}
		members[at] = &consumer{connection: connections[at%len(connections)], group: group, id: fmt.Sprintf("%x", id), topic: broker.topic()}
	}
	live := func(member *consumer) {
		for {
			pause, err := member.beat()
			if err != nil {
				failed <- err
				return
			}
			if member == members[0] {
				select {
				case <-gone:
					failed <- member.leave()
					return
				case <-time.After(pause):
				}
			} else {
				time.Sleep(pause)
			}
		}
	}
	settled := func(from int) error {
		for {
			total, least := int32(0), int32(count)
			for _, member := range members[from:] {
				held := member.held.Load()
				total, least = total+held, min(least, held)
			}
			if int(total) == count && least > 0 {
				return nil
			}
			select {
			case err := <-failed:
				if err != nil {
					return err
				}
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	if err := broker.measure(fmt.Sprintf("%d members join one group (KIP-848)", count), func() error {
		for _, member := range members {
			go live(member)
		}
		return settled(0)
	}); err != nil {
		return err
	}
	return broker.measure(fmt.Sprintf("one of %d members leaves", count), func() error {
		close(gone)
		return settled(1)
	})
}

func (c *consumer) leave() error {
	request := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	request.Group, request.MemberID, request.MemberEpoch, request.RebalanceTimeoutMillis = c.group, c.id, -1, -1
	_, err := c.connection.ask(request, 0)
	return err
}
