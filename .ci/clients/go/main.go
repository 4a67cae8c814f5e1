// sarama and segmentio's kafka-go against a broker: each makes a topic, produces with every codec, reads every partition
// back and compares, asks for offsets, deletes the topic; kafka-go reads as a group too. Usage: go run . HOST:PORT
package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

const (
	partitions = 3
	perCodec   = 2000
)

var codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// place is where a record was put, as the client was told.
type place struct {
	partition int
	offset    int64
}

// contents are the records of a topic: key and value by their place.
type contents map[place]string

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	for name, run := range map[string]func(context.Context, string, string) error{"sarama": withSarama, "kafka-go": withKafkaGo} {
		if err := run(ctx, os.Args[1], fmt.Sprintf("%s-%d", name, os.Getpid())); err != nil {
			fmt.Printf("FAILED %s: %v\n", name, err)
			os.Exit(1)
		}
		fmt.Println("ok", name)
	}
}

func record(codec string, number int) (key, value string) {
	return fmt.Sprintf("key %d", number%100), fmt.Sprintf("%s value %d", codec, number)
}

func (wanted contents) compare(got contents) error {
	if len(wanted) != perCodec*len(codecs) {
		return fmt.Errorf("%d places were told for %d records", len(wanted), perCodec*len(codecs))
	}
	for at, record := range wanted {
		if got[at] != record {
			return fmt.Errorf("%v: read %q, wrote %q", at, got[at], record)
		}
	}
	if len(got) != len(wanted) {
		return fmt.Errorf("read %d, wrote %d", len(got), len(wanted))
	}
	return nil
}
