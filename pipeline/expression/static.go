package expression

// Static renders text that may use only env and file(...). Secret tells that
// the text came from a file. What c.Skip left open stands in it as Unknown.
func Static(source string, c Constants) (text string, secret bool, findings []Finding) {
	s := &Scope{scope{options: Options{Constants: c}, paths: &trie{}, static: true}}
	t, findings := s.Template(source, PlaceText)
	if t == nil {
		return "", false, findings
	}
	text, constant := t.Constant()
	if !constant {
		return "", false, append(findings, Finding{
			End: len(source), Code: CodeStatic, Message: "this is fixed when the configuration is loaded",
			Hint: "only env.NAME and file(...) can be used here",
		})
	}
	return text, t.secret, findings
}
