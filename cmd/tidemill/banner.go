package main

import (
	"fmt"
	"strings"
)

// devBanner is what `tidemill dev` prints when requests are accepted. User 1
// stands last of the users, ready to paste. The last line is what clients that
// start a server themselves wait for (QSTASH.md §1.5).
func devBanner(url, dir, adminAddr string, temporary, ui bool) string {
	var b strings.Builder
	b.WriteString("tidemill dev: the published test users work, loopback and private destinations are allowed\n\n")
	for i := len(devUsers) - 1; i > 0; i-- {
		u := devUsers[i]
		fmt.Fprintf(&b, "User %d: QSTASH_URL=%s QSTASH_TOKEN=%s QSTASH_CURRENT_SIGNING_KEY=%s QSTASH_NEXT_SIGNING_KEY=%s\n",
			i+1, url, u.Token, u.Current, u.Next)
	}
	b.WriteString("\nUser 1:\n")
	devUsers[0].export(&b, url)
	fmt.Fprintf(&b, "\nPublish a message and see it arrive here:\n%s\n\n", devCurl(url))
	if ui {
		fmt.Fprintf(&b, "UI:    %s/ui/\n", url)
	}
	if temporary {
		fmt.Fprintf(&b, "Data:  %s, removed at exit (--data DIR keeps them)\n", dir)
	} else {
		fmt.Fprintf(&b, "Data:  %s, kept (--data)\n", dir)
	}
	if adminAddr != "" {
		fmt.Fprintf(&b, "Admin: http://%s/healthz, http://%s/debug/pprof/\n", adminAddr, adminAddr)
	}
	fmt.Fprintf(&b, "Server is running at %s\n", url)
	return b.String()
}

// devCurl is one line, so that it can be pasted, with the token written out, so
// that it works in a shell that exported nothing.
func devCurl(url string) string {
	return fmt.Sprintf(`curl -X POST -H "Authorization: Bearer %s" -d "hello" %s/v2/publish/%s%s/hello`,
		devUsers[0].Token, url, url, catchPrefix)
}
