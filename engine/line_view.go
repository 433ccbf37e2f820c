package engine

import "github.com/tidemill/tidemill/engine/record"

// flowOf returns what a message says of its flow-control key.
func flowOf(m *record.Message) FlowControl {
	if m.FlowKey == "" {
		return FlowControl{}
	}
	return FlowControl{
		Key: m.FlowKey, Parallelism: int(m.Parallelism), Rate: int(m.Rate),
		Period: millis(int64(m.Period)), Sliding: m.Sliding,
	}
}

// callbackInfo returns what the owner of a message sees of a callback of it, nil for none.
func callbackInfo(template []byte) (*CallbackInfo, error) {
	if len(template) == 0 {
		return nil, nil
	}
	var m record.Message
	if err := record.DecodeMessage(template, &m); err != nil {
		return nil, err
	}
	return &CallbackInfo{URL: m.URL, Header: m.Header}, nil
}
