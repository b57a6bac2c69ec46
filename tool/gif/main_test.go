package main

import (
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"os"
	"path/filepath"
	"testing"
)

func picture(dot image.Point) *image.RGBA {
	p := image.NewRGBA(image.Rect(0, 0, 40, 30))
	for i := range p.Pix {
		p.Pix[i] = 255
	}
	p.Set(dot.X, dot.Y, color.RGBA{R: 200, A: 255})
	return p
}

func TestRun(t *testing.T) {
	directory := t.TempDir()
	args := []string{filepath.Join(directory, "out.gif")}
	dots := []image.Point{{3, 4}, {5, 7}, {5, 7}}
	for i, dot := range dots {
		name := filepath.Join(directory, fmt.Sprintf("%d.png", i))
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(f, picture(dot)); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		args = append(args, fmt.Sprintf("%s=%d", name, 100*(i+1)))
	}
	if err := run(args); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := gif.DecodeAll(f)
	if err != nil {
		t.Fatal(err)
	}
	want := []image.Rectangle{image.Rect(0, 0, 40, 30), image.Rect(3, 4, 6, 8), image.Rect(0, 0, 1, 1)}
	for i, frame := range got.Image {
		if frame.Rect != want[i] || got.Delay[i] != 10*(i+1) {
			t.Errorf("frame %d: got %v for %d, want %v for %d", i, frame.Rect, got.Delay[i], want[i], 10*(i+1))
		}
	}
	if r, _, _, _ := got.Image[1].At(3, 4).RGBA(); r != 0xffff {
		t.Errorf("where the dot was is %v now", got.Image[1].At(3, 4))
	}
	if err := run([]string{args[0], "frame.png"}); err == nil {
		t.Error("a frame without a time is taken")
	}
}
