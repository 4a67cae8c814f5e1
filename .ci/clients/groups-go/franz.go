package main

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
)

// franz reads with franz-go; the options tell how its group shares partitions.
func franz(ctx context.Context, balancing []kgo.GroupOpt, bootstrap, topic, group string) error {
	lost := func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
		sayPartitions("revoked", partitions[topic])
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(bootstrap),
		kgo.ClientID(clientID()),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.SessionTimeout(session),
		kgo.HeartbeatInterval(heartbeat),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			sayPartitions("assigned", partitions[topic])
		}),
		kgo.OnPartitionsRevoked(lost),
		kgo.OnPartitionsLost(lost),
	}
	for _, option := range balancing {
		options = append(options, option)
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	defer client.Close()
	for ctx.Err() == nil {
		fetches := client.PollRecords(ctx, 50)
		next := map[int32]int64{}
		fetches.EachRecord(func(record *kgo.Record) {
			say("got", []any{record.Partition, record.Offset, string(record.Value)})
			next[record.Partition] = record.Offset + 1
		})
		if len(next) > 0 && client.CommitUncommittedOffsets(ctx) == nil {
			sayCommitted(next)
		}
		client.AllowRebalance()
	}
	return nil
}
