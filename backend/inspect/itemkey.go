package inspect

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
)

// Keys of tables are stored as strings, or as integers of 8 bytes, the highest first; signed
// ones with their sign bit flipped. store.Table.Keys names the kind.

const signBit = 1 << 63

func formatItemKey(kind string, key []byte) string {
	if kind != "s" && len(key) == 8 {
		n := binary.BigEndian.Uint64(key)
		switch kind {
		case "i":
			return strconv.FormatInt(int64(n^signBit), 10)
		case "u":
			return strconv.FormatUint(n, 10)
		}
		return hex.EncodeToString(key)
	}
	return string(key)
}

func parseItemKey(kind, text string) ([]byte, error) {
	switch kind {
	case "i":
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("the table's keys are integers, got %q", text)
		}
		return binary.BigEndian.AppendUint64(nil, uint64(n)^signBit), nil
	case "u":
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("the table's keys are unsigned integers, got %q", text)
		}
		return binary.BigEndian.AppendUint64(nil, n), nil
	}
	return []byte(text), nil
}
