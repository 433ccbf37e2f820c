module github.com/tidemill/tidemill/tools/wheelbench

go 1.26.0

require (
	github.com/RussellLuo/timingwheel v0.0.0-20220218152713-54845bda3108
	github.com/tidemill/tidemill v0.0.0
)

replace github.com/tidemill/tidemill => ../..
