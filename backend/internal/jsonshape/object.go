package jsonshape

// Member is a member of a JSON object, as its text stands in the object.
type Member struct {
	Name  string
	Text  []byte // the name, the colon and the value
	Value []byte
}

// Members returns the members of a JSON text in their order, nil if the text is not an
// object. It must be valid JSON. The members share its memory.
func Members(object []byte) []Member {
	i := skipSpace(object, 0)
	if object[i] != '{' {
		return nil
	}
	all := []Member{}
	for i = skipSpace(object, i+1); object[i] != '}'; {
		start := i
		end := skipString(object, i)
		name := unquote(object[start:end])
		value := next(object, end)
		i = skipValue(object, value)
		all = append(all, Member{Name: name, Text: object[start:i:i], Value: object[value:i:i]})
		i = next(object, i)
	}
	return all
}

// AppendMembers appends the texts of members, joined by commas.
func AppendMembers(dst []byte, members []Member) []byte {
	for i, m := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, m.Text...)
	}
	return dst
}

// Elements returns the elements of a JSON text, nil if the text is not an array. It must be
// valid JSON. They share its memory.
func Elements(array []byte) [][]byte {
	i := skipSpace(array, 0)
	if array[i] != '[' {
		return nil
	}
	all := [][]byte{}
	for i = skipSpace(array, i+1); array[i] != ']'; {
		end := skipValue(array, i)
		all = append(all, array[i:end:end])
		i = next(array, end)
	}
	return all
}
