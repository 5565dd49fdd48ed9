"""SunSpec over Modbus registers: the models, finding them, and the devices that speak them."""
