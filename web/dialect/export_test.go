package dialect

// NewAcme makes the vendor of the documentation.
var NewAcme = newAcme
