package httpapi

import "fmt"

// Live are the options that can be changed while a server runs, by SetLive. Names,
// defaults and meanings are those of Options.
type Live struct {
	BatchMax      int64
	InflightBytes int64
	CORSOrigins   []string
}

// Live returns those that a server made with the options would begin with.
func (o Options) Live() Live {
	def(&o.BatchMax, 100<<20)
	def(&o.InflightBytes, 256<<20)
	return Live{o.BatchMax, o.InflightBytes, o.CORSOrigins}
}

func (l *Live) validate() error {
	if l.BatchMax < 1 || l.InflightBytes < 1 {
		return fmt.Errorf("batch.max-size of %d and publish.inflight-bytes of %d bytes: both must be positive", l.BatchMax, l.InflightBytes)
	}
	for _, origin := range l.CORSOrigins {
		if err := CheckOrigin(origin); err != nil {
			return err
		}
	}
	return nil
}

// SetLive puts other values in force for the requests that begin from then on, all or,
// with an error, none. The slice is the server's from then on.
func (s *Server) SetLive(l Live) error {
	if err := l.validate(); err != nil {
		return err
	}
	s.live.Store(&l)
	s.inflight.most.Store(l.InflightBytes)
	s.strange.most.Store(max(l.InflightBytes/4, 1))
	return nil
}
