// Stands for the addon of AWS's runtime client, a compiled HTTP client for the Runtime API; preloaded with `node --require`.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
const http = require("node:http");
const Module = require("node:module");

const api = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`;

function call(method, path, body) {
    return new Promise((resolve, reject) => {
        const request = http.request(`${api}/${path}`, { method }, (response) => {
            let text = "";
            response.setEncoding("utf8");
            response.on("data", (chunk) => {
                text += chunk;
            });
            response.on("end", () => resolve({ bodyJson: text, headers: response.headers }));
        });
        request.on("error", reject);
        request.end(body);
    });
}

// The addon's own calls block until they are answered; here the next invocation waits for them.
let posted = Promise.resolve();
const post = (path, body) => {
    posted = call("POST", path, body);
};

Module._extensions[".node"] = (module) => {
    module.exports = {
        initializeClient() {},
        next: async () => {
            await posted;
            return call("GET", "next");
        },
        done: (id, answer) => post(`${id}/response`, answer),
        error: (id, error) => post(`${id}/error`, error),
    };
};
