// The page's address is the server's. With BABEL=1 modules are compiled for Node's require, as most apps do.
module.exports = {
  testEnvironment: "jsdom",
  testEnvironmentOptions: { url: process.env.SERVER },
  testMatch: ["**/in-jest.js"],
  ...(process.env.BABEL && {
    transform: { "\\.js$": ["babel-jest", { presets: [["@babel/preset-env", { targets: { node: "current" } }]] }] },
    transformIgnorePatterns: ["/node_modules/(?!@troupe/)"],
  }),
};
