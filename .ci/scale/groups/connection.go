package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// connection asks one thing at a time. A member of a classic group has one of its own, since joins and syncs wait.
type connection struct {
	socket net.Conn
	format *kmsg.RequestFormatter
	last   int32
}

func connect(bootstrap string) (*connection, error) {
	socket, err := net.Dial("tcp", bootstrap)
	if err != nil {
		return nil, err
	}
	return &connection{socket: socket, format: kmsg.NewRequestFormatter(kmsg.FormatterClientID("scale"))}, nil
}

// ask sends a request in the given version and reads its answer.
func (c *connection) ask(request kmsg.Request, version int16) (kmsg.Response, error) {
	request.SetVersion(version)
	c.last++
	if _, err := c.socket.Write(c.format.AppendRequest(nil, request, c.last)); err != nil {
		return nil, err
	}
	var prefix [4]byte
	if _, err := io.ReadFull(c.socket, prefix[:]); err != nil {
		return nil, err
	}
	frame := make([]byte, binary.BigEndian.Uint32(prefix[:]))
	if _, err := io.ReadFull(c.socket, frame); err != nil {
		return nil, err
	}
	reader := kbin.Reader{Src: frame}
	if id := reader.Int32(); id != c.last {
		return nil, fmt.Errorf("answer to %d, not to %d", id, c.last)
	}
	response := request.ResponseKind()
	response.SetVersion(version)
	if response.IsFlexible() {
		kmsg.SkipTags(&reader)
	}
	return response, response.ReadFrom(reader.Src)
}
