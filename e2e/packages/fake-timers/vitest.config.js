export default {
  test: {
    environment: "jsdom",
    environmentOptions: { jsdom: { url: process.env.SERVER } },
    include: ["in-vitest.js"],
  },
};
