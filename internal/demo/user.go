package demo

// ClientID and ClientSecret are the OAuth client that the provider knows. The
// secret protects nothing: this provider only listens on loopback.
const (
	ClientID     = "demo-client"
	ClientSecret = "demo-secret"
)

const clientName = "Hawser"

// user is a person with an account at the demo provider.
type user struct {
	Login, Subject, Name, Email string
}

// users that the consent page offers; the first is the default.
var users = []user{
	{Login: "ava", Subject: "usr_ava", Name: "Ava Anchor", Email: "ava@example.com"},
	{Login: "ben", Subject: "usr_ben", Name: "Ben Bollard", Email: "ben@example.com"},
}

func userByLogin(login string) (user, bool) {
	for _, u := range users {
		if u.Login == login {
			return u, true
		}
	}
	return user{}, false
}

// site is an entry of GET /resources.
type site struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	URL  string `json:"url"`
}

// sites of every user; who has not the scope "multi" sees the first only.
var sites = []site{
	{ID: "site-harbour", Name: "Harbour", URL: "https://harbour.demo.example"},
	{ID: "site-lighthouse", Name: "Lighthouse", URL: "https://lighthouse.demo.example"},
	{ID: "site-shipyard", Name: "Shipyard", URL: "https://shipyard.demo.example"},
}
