// franz-go against Ringlog: creates a topic, produces idempotently with every codec, consumes by assignment from offset 0,
// compares, lists offsets by time, deletes the topic. Usage: go run . HOST:PORT
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	partitions = 4
	perCodec   = 5000
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := run(ctx, os.Args[1]); err != nil {
		fmt.Println("FAILED franz-go:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bootstrap string) error {
	topic := fmt.Sprintf("franz-go-%d", os.Getpid())
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		return err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	if created, err := admin.CreateTopic(ctx, partitions, 1, nil, topic); err != nil || created.Err != nil {
		return fmt.Errorf("create: %v %v", err, created.Err)
	}
	fmt.Println("ok franz-go create")

	wanted := make([][]*kgo.Record, partitions)
	codecs := []kgo.CompressionCodec{
		kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(),
	}
	for number, codec := range codecs {
		records, err := produce(ctx, bootstrap, topic, number, codec)
		if err != nil {
			return fmt.Errorf("codec %d: %w", number, err)
		}
		for _, record := range records {
			wanted[record.Partition] = append(wanted[record.Partition], record)
		}
	}
	fmt.Println("ok franz-go produce, 5 codecs, idempotent")

	if err := consume(ctx, bootstrap, topic, wanted); err != nil {
		return err
	}
	fmt.Println("ok franz-go same records")

	ends, err := admin.ListEndOffsets(ctx, topic)
	if err != nil || ends.Error() != nil {
		return fmt.Errorf("end offsets: %v %v", err, ends.Error())
	}
	starts, err := admin.ListOffsetsAfterMilli(ctx, 0, topic)
	if err != nil || starts.Error() != nil {
		return fmt.Errorf("offsets after 0: %v %v", err, starts.Error())
	}
	for partition := range int32(partitions) {
		end, _ := ends.Lookup(topic, partition)
		start, _ := starts.Lookup(topic, partition)
		if end.Offset != int64(len(wanted[partition])) || start.Offset != 0 {
			return fmt.Errorf("partition %d: %d to %d, wanted 0 to %d", partition, start.Offset, end.Offset, len(wanted[partition]))
		}
	}
	if deleted, err := admin.DeleteTopic(ctx, topic); err != nil || deleted.Err != nil {
		return fmt.Errorf("delete: %v %v", err, deleted.Err)
	}
	fmt.Println("ok franz-go offsets and delete")
	return nil
}

func produce(ctx context.Context, bootstrap, topic string, number int, codec kgo.CompressionCodec) ([]*kgo.Record, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.ProducerBatchCompression(codec),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	records := make([]*kgo.Record, perCodec)
	for i := range records {
		records[i] = &kgo.Record{
			Topic:     topic,
			Partition: int32(i % partitions),
			Key:       []byte(fmt.Sprintf("key %d", i)),
			Value:     bytes.Repeat([]byte{byte('a' + i%26)}, i%300),
			Headers:   []kgo.RecordHeader{{Key: "codec", Value: []byte{byte(number)}}},
		}
	}
	return records, client.ProduceSync(ctx, records...).FirstErr()
}

func consume(ctx context.Context, bootstrap, topic string, wanted [][]*kgo.Record) error {
	assignment := map[int32]kgo.Offset{}
	for partition := range int32(partitions) {
		assignment[partition] = kgo.NewOffset().At(0)
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(bootstrap),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: assignment}),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	next := make([]int, partitions)
	left := 0
	for _, records := range wanted {
		left += len(records)
	}
	for left > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		var wrong error
		fetches.EachRecord(func(got *kgo.Record) {
			at := next[got.Partition]
			if at >= len(wanted[got.Partition]) {
				wrong = fmt.Errorf("partition %d: a record too many at offset %d", got.Partition, got.Offset)
				return
			}
			want := wanted[got.Partition][at]
			if got.Offset != int64(at) || got.Offset != want.Offset || !bytes.Equal(got.Key, want.Key) ||
				!bytes.Equal(got.Value, want.Value) || !bytes.Equal(got.Headers[0].Value, want.Headers[0].Value) {
				wrong = fmt.Errorf("partition %d: offset %d holds another record than was sent", got.Partition, got.Offset)
			}
			next[got.Partition]++
			left--
		})
		if wrong != nil {
			return wrong
		}
	}
	return nil
}
