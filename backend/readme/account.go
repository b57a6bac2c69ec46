package readme

// Account is a state with something that the inspector must not show.
type Account struct {
	Name     string `json:"name"`
	Password string `json:"password" troupe:"secret"`
}
