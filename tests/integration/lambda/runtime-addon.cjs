// Stands for the addon of AWS's runtime client, a compiled client of the Runtime API; preloaded with `node --require`. Invocations
// and their ends are messages between this process and the tests'.
const { once } = require("node:events");
const Module = require("node:module");

Module._extensions[".node"] = (module) => {
    module.exports = {
        initializeClient() {},
        next: async () => (await once(process, "message"))[0],
        done: (id) => process.send({ id }),
        error: (id, error) => process.send({ id, error }),
    };
};
