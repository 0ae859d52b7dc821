package events

// SetTrace is what every publish does with the trace of its context.
var SetTrace = setTrace
