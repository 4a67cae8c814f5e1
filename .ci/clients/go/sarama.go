package main

import (
	"context"
	"fmt"

	"github.com/IBM/sarama"
)

func withSarama(ctx context.Context, bootstrap, topic string) error {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Consumer.Return.Errors = true
	client, err := sarama.NewClient([]string{bootstrap}, config)
	if err != nil {
		return err
	}
	defer client.Close()
	admin, err := sarama.NewClusterAdmin([]string{bootstrap}, config)
	if err != nil {
		return err
	}
	defer admin.Close()
	if err := admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	wanted := contents{}
	for number, codec := range []sarama.CompressionCodec{
		sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD,
	} {
		if err := saramaProduce(bootstrap, topic, codecs[number], codec, wanted); err != nil {
			return fmt.Errorf("produce %s: %w", codecs[number], err)
		}
	}
	got := contents{}
	for partition := range int32(partitions) {
		if err := saramaRead(ctx, client, topic, partition, got); err != nil {
			return fmt.Errorf("read partition %d: %w", partition, err)
		}
	}
	if err := wanted.compare(got); err != nil {
		return err
	}
	return admin.DeleteTopic(topic)
}

// saramaProduce is idempotent.
func saramaProduce(bootstrap, topic, name string, codec sarama.CompressionCodec, wanted contents) error {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Producer.Compression = codec
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	config.Net.MaxOpenRequests = 1
	producer, err := sarama.NewAsyncProducer([]string{bootstrap}, config)
	if err != nil {
		return err
	}
	defer producer.Close()
	go func() {
		for number := range perCodec {
			key, value := record(name, number)
			producer.Input() <- &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(key), Value: sarama.StringEncoder(value)}
		}
	}()
	for range perCodec {
		select {
		case message := <-producer.Successes():
			key, _ := message.Key.Encode()
			value, _ := message.Value.Encode()
			wanted[place{int(message.Partition), message.Offset}] = fmt.Sprintf("%s=%s", key, value)
		case err := <-producer.Errors():
			return err
		}
	}
	return nil
}

func saramaRead(ctx context.Context, client sarama.Client, topic string, partition int32, got contents) error {
	start, err := client.GetOffset(topic, partition, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	end, err := client.GetOffset(topic, partition, sarama.OffsetNewest)
	if err != nil {
		return err
	}
	if at, err := client.GetOffset(topic, partition, 1); err != nil || at != start {
		return fmt.Errorf("offset of time 1: %d %v", at, err)
	}
	consumer, err := sarama.NewConsumerFromClient(client)
	if err != nil {
		return err
	}
	defer consumer.Close()
	reader, err := consumer.ConsumePartition(topic, partition, start)
	if err != nil {
		return err
	}
	defer reader.Close()
	for next := start; next < end; {
		select {
		case message := <-reader.Messages():
			got[place{int(partition), message.Offset}] = fmt.Sprintf("%s=%s", message.Key, message.Value)
			next = message.Offset + 1
		case err := <-reader.Errors():
			return err
		case <-ctx.Done():
			return fmt.Errorf("offset %d of %d: %w", next, end, ctx.Err())
		}
	}
	return nil
}
