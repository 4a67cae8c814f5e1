package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// member of a classic group.
type member struct {
	*connection
	group, id  string
	generation int32
}

// coordinatorIsAway tells of errors that pass.
func coordinatorIsAway(code int16) bool {
	switch kerr.ErrorForCode(code) {
	case kerr.CoordinatorLoadInProgress, kerr.CoordinatorNotAvailable, kerr.NotCoordinator:
		return true
	}
	return false
}

// settle joins and syncs until it is in a generation whose assignment it knows.
func (m *member) settle() error {
	for {
		join := kmsg.NewPtrJoinGroupRequest()
		join.Group, join.MemberID, join.ProtocolType = m.group, m.id, "consumer"
		join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = 45_000, 60_000
		protocol := kmsg.NewJoinGroupRequestProtocol()
		protocol.Name, protocol.Metadata = "range", []byte{0, 0, 0, 0, 0, 1, 0, 1, 't', 255, 255, 255, 255}
		join.Protocols = append(join.Protocols, protocol)
		answer, err := m.ask(join, 7)
		if err != nil {
			return err
		}
		joined := answer.(*kmsg.JoinGroupResponse)
		if coordinatorIsAway(joined.ErrorCode) {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		switch kerr.ErrorForCode(joined.ErrorCode) {
		case nil:
		case kerr.MemberIDRequired:
			m.id = joined.MemberID
			continue
		case kerr.UnknownMemberID:
			m.id = ""
			continue
		default:
			return kerr.ErrorForCode(joined.ErrorCode)
		}
		m.id, m.generation = joined.MemberID, joined.Generation
		sync := kmsg.NewPtrSyncGroupRequest()
		sync.Group, sync.MemberID, sync.Generation = m.group, m.id, m.generation
		if joined.LeaderID == joined.MemberID {
			for _, each := range joined.Members {
				assignment := kmsg.NewSyncGroupRequestGroupAssignment()
				assignment.MemberID, assignment.MemberAssignment = each.MemberID, []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
				sync.GroupAssignment = append(sync.GroupAssignment, assignment)
			}
		}
		answer, err = m.ask(sync, 3)
		if err != nil {
			return err
		}
		switch err := kerr.ErrorForCode(answer.(*kmsg.SyncGroupResponse).ErrorCode); err {
		case nil:
			return nil
		case kerr.RebalanceInProgress, kerr.UnknownMemberID, kerr.IllegalGeneration:
		default:
			return err
		}
	}
}

// heartbeat tells whether the group rebalances.
func (m *member) heartbeat() (bool, error) {
	request := kmsg.NewPtrHeartbeatRequest()
	request.Group, request.MemberID, request.Generation = m.group, m.id, m.generation
	answer, err := m.ask(request, 3)
	if err != nil {
		return false, err
	}
	switch err := kerr.ErrorForCode(answer.(*kmsg.HeartbeatResponse).ErrorCode); err {
	case nil:
		return false, nil
	case kerr.RebalanceInProgress:
		return true, nil
	default:
		return false, err
	}
}

// inParallel does something for each member, all at once, and returns the first error.
func inParallel(members []*member, do func(*member) error) error {
	var wait sync.WaitGroup
	failed := make(chan error, len(members))
	for _, each := range members {
		wait.Go(func() {
			if err := do(each); err != nil {
				failed <- fmt.Errorf("%s: %w", each.group, err)
			}
		})
	}
	wait.Wait()
	close(failed)
	return <-failed
}

func newMembers(bootstrap, name string, groups, perGroup int) ([]*member, error) {
	var members []*member
	for number := range groups * perGroup {
		connection, err := connect(bootstrap)
		if err != nil {
			return nil, err
		}
		members = append(members, &member{connection: connection, group: fmt.Sprintf("%s-%d", name, number%groups)})
	}
	return members, nil
}

// manyGroups: so many groups of one member, on as many connections, join at once; then all send a heartbeat.
func manyGroups(broker *broker, count int) error {
	members, err := newMembers(broker.address, broker.name("many"), count, 1)
	if err != nil {
		return err
	}
	if err := broker.measure(fmt.Sprintf("%d groups of one member join at once", count), func() error {
		return inParallel(members, (*member).settle)
	}); err != nil {
		return err
	}
	return broker.measure(fmt.Sprintf("%d groups: a heartbeat and a commit of each", count), func() error {
		return inParallel(members, func(m *member) error {
			if rebalances, err := m.heartbeat(); rebalances || err != nil {
				return fmt.Errorf("not stable: %w", err)
			}
			return m.commit(broker.topic())
		})
	})
}

func (m *member) commit(name string) error {
	request := kmsg.NewPtrOffsetCommitRequest()
	request.Group, request.MemberID, request.Generation = m.group, m.id, m.generation
	topic, partition := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
	topic.Topic, partition.Offset = name, 1
	topic.Partitions = append(topic.Partitions, partition)
	request.Topics = append(request.Topics, topic)
	answer, err := m.ask(request, 7)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(answer.(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode)
}

// rebalanceAll: so many groups of two members; in each a third one joins, all at once.
func rebalanceAll(broker *broker, groups int) error {
	members, err := newMembers(broker.address, broker.name("rebalance"), groups, 2)
	if err != nil {
		return err
	}
	if err := broker.measure(fmt.Sprintf("%d groups of two members join at once", groups), func() error {
		return inParallel(members, (*member).quiet)
	}); err != nil {
		return err
	}
	more, err := newMembers(broker.address, broker.name("rebalance"), groups, 1)
	if err != nil {
		return err
	}
	return broker.measure(fmt.Sprintf("%d groups rebalance at once: a third member in each", groups), func() error {
		return inParallel(append(members, more...), (*member).quiet)
	})
}

// quiet joins, and joins again while the group rebalances, until its heartbeats are quiet for a second.
func (m *member) quiet() error {
	if m.generation == 0 {
		if err := m.settle(); err != nil {
			return err
		}
	}
	for quiet := 0; quiet < 10; quiet++ {
		rebalances, err := m.heartbeat()
		if err != nil {
			return err
		}
		if rebalances {
			quiet = 0
			if err := m.settle(); err != nil {
				return err
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil
}
