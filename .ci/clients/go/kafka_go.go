package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

func withKafkaGo(ctx context.Context, bootstrap, topic string) error {
	client := &kafka.Client{Addr: kafka.TCP(bootstrap), Timeout: 30 * time.Second}
	created, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1}},
	})
	if err != nil || created.Errors[topic] != nil {
		return fmt.Errorf("create: %v %v", err, created)
	}
	wanted := contents{}
	for number, codec := range []kafka.Compression{0, kafka.Gzip, kafka.Snappy, kafka.Lz4, kafka.Zstd} {
		if err := kafkaGoProduce(ctx, bootstrap, topic, codecs[number], codec, wanted); err != nil {
			return fmt.Errorf("produce %s: %w", codecs[number], err)
		}
	}
	listed, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{topic: {kafka.LastOffsetOf(0), kafka.LastOffsetOf(1), kafka.LastOffsetOf(2)}},
	})
	if err != nil {
		return fmt.Errorf("offsets: %w", err)
	}
	got := contents{}
	for _, offsets := range listed.Topics[topic] {
		if offsets.Error != nil {
			return fmt.Errorf("offsets: %w", offsets.Error)
		}
		if err := kafkaGoRead(ctx, bootstrap, topic, offsets.Partition, offsets.LastOffset, got); err != nil {
			return fmt.Errorf("read partition %d: %w", offsets.Partition, err)
		}
	}
	if err := wanted.compare(got); err != nil {
		return err
	}
	if err := kafkaGoGroup(ctx, bootstrap, topic, wanted); err != nil {
		return fmt.Errorf("group: %w", err)
	}
	deleted, err := client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	if err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return deleted.Errors[topic]
}

func kafkaGoProduce(ctx context.Context, bootstrap, topic, name string, codec kafka.Compression, wanted contents) error {
	done := make(chan error, perCodec)
	// Partitions complete side by side.
	var telling sync.Mutex
	writer := &kafka.Writer{
		Addr: kafka.TCP(bootstrap), Topic: topic, Balancer: &kafka.Hash{}, RequiredAcks: kafka.RequireAll, Compression: codec,
		BatchTimeout: 10 * time.Millisecond, Async: true,
		Completion: func(messages []kafka.Message, err error) {
			telling.Lock()
			defer telling.Unlock()
			for _, message := range messages {
				if err == nil {
					wanted[place{message.Partition, message.Offset}] = fmt.Sprintf("%s=%s", message.Key, message.Value)
				}
			}
			done <- err
		},
	}
	messages := make([]kafka.Message, perCodec)
	for number := range messages {
		key, value := record(name, number)
		messages[number] = kafka.Message{Key: []byte(key), Value: []byte(value)}
	}
	if err := writer.WriteMessages(ctx, messages...); err != nil {
		return err
	}
	if err := writer.Close(); err != nil {
		return err
	}
	close(done)
	for err := range done {
		if err != nil {
			return err
		}
	}
	return nil
}

func kafkaGoRead(ctx context.Context, bootstrap, topic string, partition int, end int64, got contents) error {
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{bootstrap}, Topic: topic, Partition: partition, MaxBytes: 1 << 20})
	defer reader.Close()
	if err := reader.SetOffset(kafka.FirstOffset); err != nil {
		return err
	}
	for next := int64(0); next < end; {
		message, err := reader.ReadMessage(ctx)
		if err != nil {
			return err
		}
		got[place{message.Partition, message.Offset}] = fmt.Sprintf("%s=%s", message.Key, message.Value)
		next = message.Offset + 1
	}
	return nil
}

// kafkaGoGroup reads half as one member and the rest, from the committed offsets, as its successor.
func kafkaGoGroup(ctx context.Context, bootstrap, topic string, wanted contents) error {
	got := contents{}
	for _, count := range []int{len(wanted) / 2, len(wanted)} {
		reader := kafka.NewReader(kafka.ReaderConfig{
			Brokers: []string{bootstrap}, Topic: topic, GroupID: topic + "-group", StartOffset: kafka.FirstOffset, MaxBytes: 1 << 20,
		})
		for len(got) < count {
			message, err := reader.FetchMessage(ctx)
			if err != nil {
				return errors.Join(err, reader.Close())
			}
			at := place{message.Partition, message.Offset}
			if _, twice := got[at]; twice {
				return errors.Join(fmt.Errorf("%v was committed and comes again", at), reader.Close())
			}
			got[at] = fmt.Sprintf("%s=%s", message.Key, message.Value)
			if len(got) == count {
				if err := kafkaGoCommit(ctx, reader, got); err != nil {
					return errors.Join(err, reader.Close())
				}
			}
		}
		if err := reader.Close(); err != nil {
			return err
		}
	}
	return wanted.compare(got)
}

func kafkaGoCommit(ctx context.Context, reader *kafka.Reader, got contents) error {
	last := map[int]int64{}
	for at := range got {
		last[at.partition] = max(last[at.partition], at.offset)
	}
	for partition, offset := range last {
		message := kafka.Message{Topic: reader.Config().Topic, Partition: partition, Offset: offset}
		if err := reader.CommitMessages(ctx, message); err != nil {
			return err
		}
	}
	return nil
}
