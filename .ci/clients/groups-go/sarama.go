package main

import (
	"context"

	"github.com/IBM/sarama"
)

// readWithSarama reads with sarama's consumer group. It commits by itself when it marks, so that an error is known.
func readWithSarama(ctx context.Context, bootstrap, topic, group string) error {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.ClientID = clientID()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Session.Timeout = session
	config.Consumer.Group.Heartbeat.Interval = heartbeat
	config.Consumer.Return.Errors = true
	consumer, err := sarama.NewConsumerGroup([]string{bootstrap}, group, config)
	if err != nil {
		return err
	}
	defer consumer.Close()
	go func() {
		for range consumer.Errors() {
		}
	}()
	for ctx.Err() == nil {
		// It comes back with each rebalance.
		_ = consumer.Consume(ctx, []string{topic}, claims{topic})
	}
	return nil
}

type claims struct{ topic string }

func (c claims) Setup(session sarama.ConsumerGroupSession) error {
	sayPartitions("assigned", session.Claims()[c.topic])
	return nil
}

func (c claims) Cleanup(session sarama.ConsumerGroupSession) error {
	sayPartitions("revoked", session.Claims()[c.topic])
	return nil
}

func (c claims) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, ok := <-claim.Messages():
			if !ok {
				return nil
			}
			say("got", []any{message.Partition, message.Offset, string(message.Value)})
			session.MarkMessage(message, "")
			if message.Offset%20 == 19 || len(claim.Messages()) == 0 {
				// It tells of no error: what is committed is looked at from outside.
				session.Commit()
			}
		case <-session.Context().Done():
			return nil
		}
	}
}
