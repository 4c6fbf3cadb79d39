-- For wrk: an optional body (`-- BYTES` makes every request a POST of BYTES bytes), and one line
-- of JSON at the end. No `request` function is defined, so wrk sends a prepared request and runs
-- no Lua while it measures.

function init(args)
    if args[1] then
        wrk.method = "POST"
        wrk.headers["Content-Type"] = "application/octet-stream"
        wrk.body = string.rep("0123456789abcdef", tonumber(args[1]) / 16)
    end
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '@result {"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, ' ..
        '"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
