package caddymodule

// Open is what a request does to reach its site.
var Open = (*App).open
