package typegen

// Render returns the files that Generate writes, by path.
var Render = render
