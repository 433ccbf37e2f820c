package main

import (
	"github.com/tidemill/tidemill/cmd/internal/client"
	"github.com/tidemill/tidemill/engine"
)

// devUserBase keeps the development users out of the way of real accounts, which
// are numbered from 1: one directory may see both `dev --data` and `serve`.
const devUserBase engine.UserID = 1 << 31

// devUsers are the published test users of QSTASH.md §1.5, in their order. They
// are no secrets, and clients look for them: @upstash/qstash takes a server on
// QSTASH_DEV_PORT for its own if user 1 has exactly these keys.
var devUsers = [4]credentials{
	{
		Token:   client.DevToken,
		Current: "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r",
		Next:    "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs",
	},
	{
		Token:   "eyJVc2VySUQiOiJ0ZXN0VXNlcjEiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9",
		Current: "sig_7GVPjvuwsfqF65iC8fSrs1dfYruM",
		Next:    "sig_5NoELc3EFnZn4DVS5bDs2Nk4b7Ua",
	},
	{
		Token:   "eyJVc2VySUQiOiJ0ZXN0VXNlcjIiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9",
		Current: "sig_6jWGaWRxHsw4vMSPJprXadyvrybF",
		Next:    "sig_7qHbvhmahe5GwfePDiS5Lg3pi6Qx",
	},
	{
		Token:   "eyJVc2VySUQiOiJ0ZXN0VXNlcjMiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9",
		Current: "sig_5T8FcSsynBjn9mMLBsXhpacRovJf",
		Next:    "sig_7GFR4YaDshFcqsxWRZpRB161jguD",
	},
}

// devNames are the UserIDs inside the tokens.
var devNames = [4]string{"defaultUser", "testUser1", "testUser2", "testUser3"}

func devAccounts() []engine.Account {
	out := make([]engine.Account, len(devUsers))
	for i, u := range devUsers {
		out[i] = engine.Account{
			ID: devUserBase + engine.UserID(i+1), Name: devNames[i], Dev: true,
			Token: u.Token, Keys: engine.Keys{Current: u.Current, Next: u.Next},
		}
	}
	return out
}
