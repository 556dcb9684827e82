// Asks for a reset with Payabli's own package and prints what came of it.
// Arguments: the folder with the packages, the base URL, the API token, and the
// request as JSON; without one, none is given.
const [sdks, environment, apiKey, request] = process.argv.slice(2);
const { PayabliClient } = require(sdks + "/node_modules/@payabli/sdk-node");

new PayabliClient({ environment, apiKey }).user.authResetUser(request && JSON.parse(request)).then(
	value => ({ value }),
	error => ({ error: error.constructor.name, status: error.statusCode, body: error.body }),
).then(outcome => console.log(JSON.stringify(outcome)));
