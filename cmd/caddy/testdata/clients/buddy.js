// Makes one call with Buddy's own package and prints what came of it. Its state
// is kept in the working folder, as between two runs of an app. Arguments: the
// folder with the packages, the root, app id, app key, method, and parameters
// as JSON.
const [sdks, root, appId, appKey, method, parameters] = process.argv.slice(2);
const Buddy = require(sdks + "/node_modules/buddy-sdk");

Buddy.init(appId, appKey, { root, output: {} });
Buddy[method]("/users/password", JSON.parse(parameters), (error, value) => {
	delete value.request_id;
	console.log(JSON.stringify(error ? { error: error.error, number: error.errorNumber, status: error.status, body: value } : { value }));
});
