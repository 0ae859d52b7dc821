module hawser-io/vendors

go 1.26

require github.com/PagerDuty/go-pagerduty v1.8.0
