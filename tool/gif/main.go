// Gif writes an animated GIF of PNG files: gif OUT FILE=MILLISECONDS… It is for pictures
// of pages: colours are not dithered, and a frame has only what differs from the one
// before. "make picture" runs it.
package main

import (
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// maxBytes is how large the file may be: it is at the top of the README.
const maxBytes = 1 << 20

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gif:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("want gif OUT FILE=MILLISECONDS…, got %q", args)
	}
	var pictures []image.Image
	var delays []int // in hundredths of a second
	for _, arg := range args[1:] {
		name, ms, _ := strings.Cut(arg, "=")
		n, err := strconv.Atoi(ms)
		if err != nil {
			return fmt.Errorf("%q: want FILE=MILLISECONDS", arg)
		}
		picture, err := read(name)
		if err != nil {
			return err
		}
		pictures, delays = append(pictures, picture), append(delays, n/10)
	}
	f, err := os.Create(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	if err := gif.EncodeAll(f, animate(pictures, delays)); err != nil {
		return err
	}
	size, err := f.Seek(0, 1)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d frames, %d bytes\n", args[0], len(pictures), size)
	if size > maxBytes {
		return fmt.Errorf("%s is larger than %d bytes", args[0], maxBytes)
	}
	return f.Close()
}

func read(name string) (image.Image, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	picture, err := png.Decode(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return picture, nil
}

// animate returns an animation that repeats. All pictures have the size of the first.
func animate(pictures []image.Image, delays []int) *gif.GIF {
	p := newPalette(pictures)
	animation := &gif.GIF{}
	var before *image.Paletted
	for i, picture := range pictures {
		whole := p.convert(picture)
		part := whole
		if before != nil {
			part = whole.SubImage(difference(before, whole)).(*image.Paletted)
		}
		animation.Image = append(animation.Image, part)
		animation.Delay = append(animation.Delay, delays[i])
		before = whole
	}
	return animation
}

// difference returns the smallest rectangle outside of which two pictures are the same;
// if they are the same everywhere, one pixel.
func difference(a, b *image.Paletted) image.Rectangle {
	var r image.Rectangle
	for y := b.Rect.Min.Y; y < b.Rect.Max.Y; y++ {
		for x := b.Rect.Min.X; x < b.Rect.Max.X; x++ {
			if a.ColorIndexAt(x, y) != b.ColorIndexAt(x, y) {
				r = r.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	if r.Empty() {
		return image.Rectangle{b.Rect.Min, b.Rect.Min.Add(image.Pt(1, 1))}
	}
	return r
}

// palette maps colours to the nearest of the 256 most frequent ones.
type palette struct {
	colors color.Palette
	index  map[color.RGBA]uint8
}

func newPalette(pictures []image.Image) *palette {
	counts := map[color.RGBA]int{}
	for _, picture := range pictures {
		each(picture, func(_, _ int, c color.RGBA) { counts[c]++ })
	}
	frequent := slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int {
		return cmp.Or(counts[b]-counts[a], cmp.Compare(number(a), number(b)))
	})
	p := &palette{index: map[color.RGBA]uint8{}}
	for _, c := range frequent[:min(len(frequent), 256)] {
		p.colors = append(p.colors, c)
	}
	return p
}

func number(c color.RGBA) int { return int(c.R)<<16 | int(c.G)<<8 | int(c.B) }

func (p *palette) convert(picture image.Image) *image.Paletted {
	converted := image.NewPaletted(picture.Bounds(), p.colors)
	each(picture, func(x, y int, c color.RGBA) {
		i, known := p.index[c]
		if !known {
			i = uint8(p.colors.Index(c)) // a palette has at most 256 colours
			p.index[c] = i
		}
		converted.SetColorIndex(x, y, i)
	})
	return converted
}

func each(picture image.Image, do func(x, y int, c color.RGBA)) {
	bounds := picture.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			do(x, y, color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA))
		}
	}
}
