package config

// Bytes of memory for each of what is counted, about.
const (
	residentBytes   = 150
	connectionBytes = 24 << 10
)

// FitMemory takes back what the configuration allows beyond its share of a limit (P36):
// a sixteenth each for the index's memtables, of which there may be three, and its
// blocks, an eighth each for requests, connections and resident messages. The rest is
// for attempts, the log's groups and garbage. It returns the names of what it changed.
func (c *Config) FitMemory(limit int64, clients *int) (changed []string) {
	fit := func(name string, v *int64, most int64) {
		if *v > most {
			*v, changed = most, append(changed, name)
		}
	}
	fit("index.memtable", &c.Memtable, max(limit/16, 1*MiB))
	fit("index.cache", &c.Cache, max(limit/16, 1*MiB))
	fit("publish.inflight-bytes", &c.InflightMax, max(limit/8, c.MessageMax))
	count := func(name string, v *int, most int64) {
		n := int64(*v)
		fit(name, &n, max(most, 1))
		*v = int(n)
	}
	count("delivery.resident", &c.Resident, limit/8/residentBytes)
	count("connections", clients, limit/8/connectionBytes)
	return changed
}
